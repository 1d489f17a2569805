// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

// keyNames are names of keys that are odd, but valid.
var keyNames = []string{"plain", "with space", "Ünïcode/Ключ", "deep/er/and/deeper", "per%cent", "q?&=#", "//double", "trailing/"}

func keyObject(key string) string { return "key/" + key }

// version is the state of a key, or another object, that was written at an index.
func version(index uint64) string { return fmt.Sprintf("v%d", index) }

// keyState is the state of a key that was created and written at these indexes.
func keyState(createIndex, modifyIndex uint64) string {
	return created(createIndex) + version(modifyIndex)
}

// createdAt is the part of the state of a key that stays until it is deleted.
func createdAt(state string) string {
	created, _, _ := strings.Cut(state, "v")
	return created
}

// writer writes keys, each rarely enough that each value is reported, or as fast as it
// can.
func (s *system) writer(number int, fast bool) oracle.Actor {
	prefix := fmt.Sprintf("%swriter-%d/", prefixKeys, number)
	domain := s.domain(func(ctx context.Context) (map[string]string, error) {
		pairs, _, err := s.client.KV().List(prefix, sure(ctx))
		states := map[string]string{}
		for _, pair := range pairs {
			states[keyObject(pair.Key)] = keyState(pair.CreateIndex, pair.ModifyIndex)
		}
		return states, err
	})
	domain.Passes = func(_, before, after string) (string, bool) {
		return oracle.Absent, before != oracle.Absent && after != oracle.Absent && createdAt(before) != createdAt(after)
	}
	written := 0
	act := func(ctx context.Context, random *rand.Rand) string {
		key := prefix + keyNames[random.IntN(len(keyNames))]
		kind := random.IntN(8)
		if !fast && !oracle.Until(ctx, 20*time.Millisecond, func() bool { return domain.Rested(keyObject(key)) }) {
			return ""
		}
		written++
		var what string
		var err error
		from := time.Now()
		switch value := strconv.Itoa(written); kind {
		case 0, 1:
			what = "key deleted"
			_, err = s.client.KV().Delete(key, write(ctx))
		case 2:
			what = "key put by CLI"
			err = s.cli(ctx, "kv", "put", key, value)
		case 3:
			what = "key put in a transaction"
			_, _, _, err = s.client.KV().Txn(api.KVTxnOps{{Verb: api.KVSet, Key: key, Value: []byte(value)}}, nil)
		default:
			what = "key put"
			_, err = s.client.KV().Put(&api.KVPair{Key: key, Value: []byte(value)}, write(ctx))
		}
		domain.Record(ctx, from)
		if err != nil {
			return "failed request"
		}
		return what
	}
	pause := 400 * time.Millisecond
	if fast {
		pause = 100 * time.Millisecond
	}
	return oracle.Actor{Name: fmt.Sprintf("writer-%d", number), Pause: pause, Act: act}
}

// cli runs a command of the vendor's CLI.
func (s *system) cli(ctx context.Context, args ...string) error {
	binary, err := lab.Binary(ctx, "consul", nil)
	if err != nil {
		return err
	}
	command := exec.CommandContext(ctx, binary, args...)
	command.Env = s.cliEnv()
	output, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("consul %v: %w: %s", args, err, output)
	}
	return nil
}

func (s *system) cliEnv() []string {
	return append(os.Environ(), "CONSUL_HTTP_ADDR=http://"+s.consul.Addr, "CONSUL_HTTP_TOKEN="+s.consul.Token)
}
