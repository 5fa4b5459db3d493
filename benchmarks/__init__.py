"""koboshi beside its peers, and beside the work without any machinery: `make benchmark-recovery`, `-training`."""
