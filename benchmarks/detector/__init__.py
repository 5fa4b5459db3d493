"""How honest the detector of silence is: `make benchmark-detector`."""
