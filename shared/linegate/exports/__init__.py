"""What other systems are handed of many inspections: tables, messages, labels. Pure, in pieces, so that any length can stream."""
