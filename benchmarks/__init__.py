"""Speed and memory of the helpers, side by side with peers and with the machine's limit."""
