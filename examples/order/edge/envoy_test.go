// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	bootstrap "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/anypb"

	// The types that envoy.yaml names.
	_ "github.com/envoyproxy/go-control-plane/envoy/config/trace/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/open_telemetry/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/stat_sinks/open_telemetry/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/tracers/opentelemetry/resource_detectors/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/tracers/opentelemetry/samplers/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
)

// Envoy refuses a configuration with an unknown field, an unknown type or a value that its protos do not allow. A
// deprecated field costs a warning first, and is refused some versions later.
func TestEnvoyConfigurationIsValid(t *testing.T) {
	content, err := os.ReadFile("../envoy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	config, err := parse(content)
	if err != nil {
		t.Fatal(err)
	}
	c := checker{types: map[string]bool{}}
	c.message("", config.ProtoReflect())
	for _, problem := range c.problems {
		t.Error(problem)
	}
	for _, name := range []string{
		"envoy.extensions.stat_sinks.open_telemetry.v3.SinkConfig",
		"envoy.config.trace.v3.OpenTelemetryConfig",
		"envoy.extensions.tracers.opentelemetry.samplers.v3.ParentBasedSamplerConfig",
		"envoy.extensions.tracers.opentelemetry.samplers.v3.AlwaysOnSamplerConfig",
		"envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig",
		"envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
	} {
		if !c.types[name] {
			t.Errorf("envoy.yaml has no %s", name)
		}
	}
}

// The check is of use only if it finds what it is there for.
func TestTheCheckFindsMistakes(t *testing.T) {
	content, err := os.ReadFile("../envoy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ old, new, want string }{
		"unknown field":    {"service_name: edge", "service_nam: edge", `unknown field "service_nam"`},
		"unknown type":     {"trace.v3.OpenTelemetryConfig", "trace.v3.OpenTelemetryConf", "OpenTelemetryConf"},
		"value not valid":  {"port_value: 10000", "port_value: 100000", "PortValue"},
		"nested not valid": {"connect_timeout: 1s", "connect_timeout: 0s", "ConnectTimeout"},
		"deprecated":       {"log_name: edge", "common_config: {log_name: edge, grpc_service: *collector}", "common_config is deprecated"},
		"typed not valid":  {"grpc_service: *collector\n                      log_name", "grpc_service: {google_grpc: {target_uri: a, stat_prefix: ''}}\n                      log_name", "StatPrefix"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := strings.Replace(string(content), tc.old, tc.new, 1)
			if changed == string(content) {
				t.Fatalf("envoy.yaml has no %q", tc.old)
			}
			config, err := parse([]byte(changed))
			var c checker
			if err == nil {
				c.types = map[string]bool{}
				c.message("", config.ProtoReflect())
			} else {
				c.problems = append(c.problems, err.Error())
			}
			if !strings.Contains(strings.Join(c.problems, "\n"), tc.want) {
				t.Errorf("got %q, want %q", c.problems, tc.want)
			}
		})
	}
}

// parse reads a bootstrap as Envoy does: YAML by way of JSON, with unknown fields and types refused.
func parse(content []byte) (*bootstrap.Bootstrap, error) {
	var tree any
	if err := yaml.Unmarshal(content, &tree); err != nil {
		return nil, err
	}
	encoded, err := json.Marshal(tree)
	if err != nil {
		return nil, err
	}
	config := &bootstrap.Bootstrap{}
	return config, protojson.Unmarshal(encoded, config)
}

// checker walks a configuration, also into what its typed_config holds.
type checker struct {
	problems []string
	types    map[string]bool
}

func (c *checker) message(path string, m protoreflect.Message) {
	if packed, ok := m.Interface().(*anypb.Any); ok {
		inner, err := packed.UnmarshalNew()
		if err != nil {
			c.problems = append(c.problems, fmt.Sprintf("%s: %v", path, err))
			return
		}
		c.types[string(inner.ProtoReflect().Descriptor().FullName())] = true
		c.message(path, inner.ProtoReflect())
		return
	}
	c.validate(path, m.Interface())
	if options, ok := m.Descriptor().Options().(*descriptorpb.MessageOptions); ok && options.GetDeprecated() {
		c.problems = append(c.problems, fmt.Sprintf("%s is of a deprecated type, %s", path, m.Descriptor().FullName()))
	}
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		c.field(path+"."+string(field.Name()), field, value)
		return true
	})
}

func (c *checker) field(path string, field protoreflect.FieldDescriptor, value protoreflect.Value) {
	if options, ok := field.Options().(*descriptorpb.FieldOptions); ok && options.GetDeprecated() {
		c.problems = append(c.problems, path+" is deprecated")
	}
	if field.Enum() != nil && !field.IsList() && !field.IsMap() {
		options, ok := field.Enum().Values().ByNumber(value.Enum()).Options().(*descriptorpb.EnumValueOptions)
		if ok && options.GetDeprecated() {
			c.problems = append(c.problems, path+" has a deprecated value")
		}
	}
	switch {
	case field.IsMap():
		if field.MapValue().Message() != nil {
			value.Map().Range(func(key protoreflect.MapKey, value protoreflect.Value) bool {
				c.message(path+"["+key.String()+"]", value.Message())
				return true
			})
		}
	case field.Message() == nil:
	case field.IsList():
		for i := range value.List().Len() {
			c.message(fmt.Sprintf("%s[%d]", path, i), value.List().Get(i).Message())
		}
	default:
		c.message(path, value.Message())
	}
}

// validate applies the rules that are generated from the protos. What has none is valid.
func (c *checker) validate(path string, m proto.Message) {
	if rules, ok := m.(interface{ ValidateAll() error }); ok {
		if err := rules.ValidateAll(); err != nil {
			c.problems = append(c.problems, fmt.Sprintf("%s: %v", path, err))
		}
	}
}
