"""Gateways: one endpoint in front of the replicas. One file for each program, which alone knows its formats."""
