"""What turns a catalog into a running app: names, manifests, the plan, the cluster and images.

It knows Kubernetes, Knative and OCI images. It knows no Jac, no HTTP server and no terminal: the catalog and the bundle reach it
as plain data in an `App`, and what it has to say goes to the caller as `Event`s and errors.
"""
