// AdminAPI: what operators and their tools see over HTTP: health and metrics now, the API and the console later.
