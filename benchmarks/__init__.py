"""How fast the book's networks learn, side by side with d2l 1.0.3: see README.md."""
