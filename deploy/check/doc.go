// Package check has the tests of what starts the product: the image, the compose file, the chart, the unit, and
// what Prometheus and Alertmanager read. It is a module of its own, since Helm's and Kubernetes' code is many times
// the product's: what the product depends on stays what it needs (docs/adr/0016-deployment-files-and-their-check.md).
package check
