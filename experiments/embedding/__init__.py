"""What the commands around encoders share."""
