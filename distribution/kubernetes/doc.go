// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package kubernetes holds the tests of what runs the collector in Kubernetes: the Helm
// chart in chart, and the kustomize bases in kustomize, which are made from the chart.
//
// After a change of the chart,
//
//	go test . -update
//
// renders testdata and kustomize/base anew. The change in them is reviewed.
package kubernetes
