"""What three packages share, and nothing else."""
