// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package observedtest

import (
	"context"
	"testing"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/extension/extensiontest"
)

// FileStorage returns the ID of a file_storage that keeps its files in dir, and
// a host that runs it.
func FileStorage(t *testing.T, dir string) (component.ID, component.Host) {
	t.Helper()
	factory := filestorage.NewFactory()
	cfg := factory.CreateDefaultConfig().(*filestorage.Config)
	cfg.Directory = dir
	extension, err := factory.Create(t.Context(), extensiontest.NewNopSettings(factory.Type()), cfg)
	require.NoError(t, err)
	require.NoError(t, extension.Start(t.Context(), componenttest.NewNopHost()))
	t.Cleanup(func() { require.NoError(t, extension.Shutdown(context.Background())) })
	id := component.NewID(factory.Type())
	return id, host{id: extension}
}

type host map[component.ID]component.Component

// GetExtensions returns what the host runs.
func (h host) GetExtensions() map[component.ID]component.Component { return h }
