module github.com/otelcol-infra/otelcol-infra/distribution/release

go 1.26.7

require (
	github.com/gofrs/flock v0.13.1
	github.com/stretchr/testify v1.12.1
	go.yaml.in/yaml/v3 v3.0.5
	golang.org/x/mod v0.41.0
)

require golang.org/x/sys v0.47.0 // indirect
