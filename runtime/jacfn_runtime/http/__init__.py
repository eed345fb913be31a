"""The Falcon app: what HTTP callers see of a program. Endpoints, envelope, errors, OpenAPI, health, lifecycle, gateway.

It knows requests and answers, takes the loaded program and the graph as they are handed in, and never imports jaclang. What only
the gateway needs (httpx) or only an operator asks for (prometheus_client, Swagger's files) is imported or read when it is used.
"""
