"""Values as text, JSON, Markdown and HTML. Nothing here does I/O but onto a given stream."""
