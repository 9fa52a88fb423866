"""What the commands for encoders share."""
