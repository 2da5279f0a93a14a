// Package check has the tests of what starts the product: the image, the compose file, the chart, the unit, and
// what Prometheus and Alertmanager read. It is a module of its own, so that what the product depends on stays what
// it needs, without Helm and Kubernetes (docs/adr/0016-deployment-files-and-their-check.md).
package check
