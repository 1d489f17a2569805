// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package packages tests the life of the packages under a real systemd: Debian in
// a container of systemd-nspawn, the guides' own commands, real servers.
package packages
