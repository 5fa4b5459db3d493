"""What it means: card fraud, from its topics to its candidates."""
