// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package kubernetes holds the tests of what runs the collector in Kubernetes: the Helm
// chart in chart, and the kustomize bases in kustomize, which are made from the chart.
//
// After a change of the chart or of a shipped configuration,
//
//	go test . -update
//
// copies the configurations into the chart, and renders testdata and kustomize/base anew.
package kubernetes
