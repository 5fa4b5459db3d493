"""koboshi: an ML pipeline that stands up again when its parts are knocked down."""
