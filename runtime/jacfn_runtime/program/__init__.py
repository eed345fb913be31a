"""Finds, compiles and loads Jac: catalog, older syntax, bundle, loaders. The only room that imports jaclang's insides, apart from
one adapter of memory/. What runs in a pod (load and what it imports) imports nothing of what builds a bundle (compiler, sources,
declarations, schema, read, bundle), and nothing here knows HTTP, stores or users.
"""
