"""What answers behind the page: models, examples, kept pictures, loans, memory."""
