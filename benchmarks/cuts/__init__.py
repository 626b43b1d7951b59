"""What a cut through a transcript must keep, and whether it did; and plain ways to cut."""
