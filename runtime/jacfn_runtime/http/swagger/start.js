// A file of its own: the page's Content-Security-Policy refuses scripts that are written into it.
window.ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  validatorUrl: null, // the public validator would be told about every private API
  onComplete: () => { document.title = window.ui.specSelectors.info().get("title") || "API"; },
});
