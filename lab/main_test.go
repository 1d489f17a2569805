// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"
	"net/http"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// parentVar makes the test binary the parent of one process, see
// TestProcessEndsWithKilledParent.
const parentVar = "LAB_TEST_PARENT_DIR"

// collectorVar makes the test binary a stand-in for a collector.
const collectorVar = "LAB_TEST_COLLECTOR_ADDR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(parentVar); dir != "" {
		beParent(dir)
	}
	if addr := os.Getenv(collectorVar); addr != "" {
		beCollector(addr)
	}
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction(ForkGoroutine))
}

// beParent starts a long-lived process, prints its PID, and waits to be killed.
func beParent(dir string) {
	child, err := StartProcess(Command{Name: "child", Path: "/bin/sleep", Args: []string{"600"}, Dir: dir})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(child.PID())
	select {} // not a deadlock: the goroutine that waits for the child is alive
}

// beCollector prints its arguments, and answers 200 on all paths.
func beCollector(addr string) {
	fmt.Println(os.Args[1:])
	fmt.Println(http.ListenAndServe(addr, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	os.Exit(1)
}
