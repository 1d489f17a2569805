// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/goldentest"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

func newStory() *Story {
	return NewStory(metadata.DefaultLogsBuilderConfig(), receivertest.NewNopSettings(metadata.Type))
}

func TestTheEventsOfMounts(t *testing.T) {
	story := newStory()
	seen, now := time.Unix(1_000_000, 0), time.Unix(1_000_001, 0)
	kv := state.Mount{Path: "kv/", Type: "kv", Accessor: "kv_c8b03db4", Version: "1", PluginVersion: "v0.21.0+builtin"}
	second, moved := kv, kv
	second.Version, second.PluginVersion = "2", "v0.22.0+builtin"
	moved.Path = "team/kv/"
	told := story.RenderMounts(now, seen, resource(), metadata.AttributeVaultMountClassSecret, []state.MountChange{
		{Event: state.MountDisabled, Mount: kv, Before: kv},
		{Event: state.MountMoved, Mount: moved, Before: kv},
		{Event: state.MountEnabled, Mount: kv},
		{Event: state.MountUpgraded, Mount: second, Before: kv},
		{Event: state.MountTuned, Mount: kv, Before: kv},
	}, false)
	require.Zero(t, told.Traces.SpanCount())
	goldentest.Logs(t, "a secrets engine comes, changes and goes", told.Logs)

	userpass := state.Mount{Path: "auth/userpass/", Type: "userpass", Accessor: "auth_userpass_5c7846e8", PluginVersion: "v1.19.5+builtin.vault"}
	told = story.RenderMounts(now, seen, resource(), metadata.AttributeVaultMountClassAuth, []state.MountChange{{Event: state.MountEnabled, Mount: userpass}}, true)
	goldentest.Logs(t, "an auth method has come unseen", told.Logs)
	require.Zero(t, story.RenderMounts(now, seen, resource(), metadata.AttributeVaultMountClassAuth, nil, true).Logs.LogRecordCount())
}
