"""The kinds of objects inside Milvus: how each is found, compared, made, changed and dropped."""
