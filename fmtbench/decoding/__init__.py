"""From a condition's fields to what a decoder may emit: pydantic model -> JSON schema -> regex -> Outlines."""
