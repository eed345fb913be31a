"""OCI images without docker: read from a registry, put together from layers, push or write to an archive.

Pure modules (reference, challenge, answers, model, requirements, fit) do no I/O; registry and login talk to registries, blobs to
the cache on disk; processes are started for pip, compileall, jaclang's caches, credential helpers and docker, nothing else.
What may not live here: anything about Kubernetes objects, settings or printing.

How to use it (see each function for what it raises; all take `report: Report` and print nothing):

    from jacfn_knative.image.build import build_app, build_runtime, default_base, host_platform
    from jacfn_knative.image.credentials import Credentials, Keychain, pull_secret
    from jacfn_knative.image.fit import check_fit
    from jacfn_knative.image.push import anonymous_pull_works, check_push, inspect, push, push_index, read_image, save

    keychain = Keychain.load(os.environ, {"ghcr.io": Credentials(username, password)})  # given ones win over the docker config
    check_push("ghcr.io/me/app:1", keychain)  # a wrong password is told now, and not after a minute of building
    image = build_runtime(base="python:3.12-slim", platform="linux/amd64", keychain=keychain, report=report)
    image = read_image("ghcr.io/me/runtime@sha256:...", "linux/amd64", keychain)  # or one that is there already
    app = build_app(image, bundle_files, dependencies=["pendulum>=3"], report=report)
    pushed = push(app, "ghcr.io/me/app:1", keychain, report=report)  # pushed.reference is the one by digest
    save(app, "dev.local/me/app:1", Path("image.tar"), keychain)  # for `kind load image-archive`, `ctr images import`
    check_fit(inspect(pushed.reference, keychain), manifest, nodes=["linux/amd64"])  # raises ImageMismatch
    built = read_image(docker_build(folder, "ghcr.io/me/base:1"), keychain=keychain)  # .docker: a Dockerfile FROM a runtime image
    needs_secret = not anonymous_pull_works(pushed.reference)  # then pull_secret(registry, credentials) is its content
"""
