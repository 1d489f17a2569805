// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package order

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

const (
	plainOrders = 6
	// together is how many orders contend for the stock of one item. Two instances
	// serve it at random.
	together    = 6
	contentions = 3 // at most

	longHold  = 300 * time.Millisecond // of the lock, while orders contend
	slowHold  = 3 * time.Second        // of the lock, while the worker is killed
	shortHold = 20 * time.Millisecond

	usersDown   = 4 * time.Second
	vaultSealed = 3 * time.Second
)

// usersInstances send their spans over UDP and over HTTP.
var usersInstances = []string{"users-1", "users-2"}

// step is one thing that happens in the example, and where to find it.
type step struct {
	name, what, where string
	run               func(*Environment, context.Context) (Report, error)
}

// Report is what happened in one step.
type Report struct {
	Orders     []Placed
	Begin, End time.Time // of the step
	// Down and Up are when something was away for sure: it went before Down, and came
	// back after Up.
	Down, Up time.Time
}

var steps = []step{
	{"orders", "customers place orders, one after the other",
		"the trace of any order: it leads from the edge to Vault and Temporal", (*Environment).placePlain},
	{"contention", fmt.Sprintf("%d orders of the same item contend for the lock on its stock", together),
		"span lock stock: etcd.lock.holder names who held the lock, and etcd.lock.attempt of etcd is linked to that hold", (*Environment).contend},
	{"declined", "a card is declined after the stock is reserved and the order is created",
		"spans RunActivity:CancelOrder and RunActivity:ReleaseInventory, which undo both", (*Environment).decline},
	{"denied", "the worker's policy in Vault loses the payment secret",
		"the span read order-secrets/ of Vault in the order's trace: permission denied", (*Environment).deny},
	{"outage", fmt.Sprintf("both instances of users are killed, and are back %s later", usersDown),
		"span consul.service.incident of users, with an outage for each instance; the order waits meanwhile", (*Environment).killUsers},
	{"sealed", fmt.Sprintf("Vault is sealed for %s", vaultSealed),
		"span vault.sealed; the order waits meanwhile", (*Environment).seal},
	{"worker", "the worker is killed in the middle of an order, and started again",
		"span RunActivity:ReserveInventory is that of the second attempt, as the killed worker did not end its own; done steps are not repeated", (*Environment).killWorker},
}

// play runs all steps, and records what happened in each.
func (e *Environment) play(ctx context.Context, progress func(string)) (map[string]Report, error) {
	reports := map[string]Report{}
	for _, s := range steps {
		progress(s.what)
		begin := time.Now()
		report, err := s.run(e, ctx)
		if err != nil {
			return reports, fmt.Errorf("%s: %w", s.name, err)
		}
		report.Begin, report.End = begin, time.Now()
		reports[s.name] = report
	}
	return reports, nil
}

func (e *Environment) placePlain(ctx context.Context) (report Report, err error) {
	for range plainOrders {
		placed, err := e.placeAs(ctx, good(), http.StatusCreated)
		if err != nil {
			return report, err
		}
		report.Orders = append(report.Orders, placed)
	}
	return report, nil
}

// contend places orders together until an instance of stock waited for the other one.
func (e *Environment) contend(ctx context.Context) (report Report, err error) {
	defer func() { err = errors.Join(err, e.holdLock(context.WithoutCancel(ctx), shortHold)) }()
	for i := range contentions {
		// Longer each time: on a slow machine, orders come one by one.
		if err := e.holdLock(ctx, time.Duration(i+1)*longHold); err != nil {
			return report, err
		}
		orders := make([]Placed, together)
		watching, stop := context.WithCancel(ctx)
		group, placing := errgroup.WithContext(ctx)
		for i := range orders {
			group.Go(func() (err error) {
				orders[i], err = e.placeAs(placing, good(), http.StatusCreated)
				return err
			})
		}
		watched := make(chan error, 1)
		go func() { watched <- e.awaitLocks(watching, 2) }()
		err := group.Wait()
		stop()
		waited := <-watched == nil
		report.Orders = append(report.Orders, orders...)
		if err != nil || waited {
			return report, err
		}
	}
	return report, fmt.Errorf("no instance of stock waited for the other one in %d orders", len(report.Orders))
}

// holdLock has stock hold the lock for so long.
func (e *Environment) holdLock(ctx context.Context, d time.Duration) error {
	client, err := e.etcd()
	if err != nil {
		return err
	}
	defer client.Close()
	if _, err := client.Put(ctx, "/order/config/lock_hold", d.String()); err != nil {
		return fmt.Errorf("configure how long the lock is held: %w", err)
	}
	return pause(ctx, interval/2) // The services watch the key.
}

func (e *Environment) etcd() (*clientv3.Client, error) {
	client, err := clientv3.New(clientv3.Config{Endpoints: e.Lab.Etcd.Endpoints, DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		return nil, fmt.Errorf("make an etcd client: %w", err)
	}
	return client, nil
}

func (e *Environment) decline(ctx context.Context) (Report, error) {
	order := good()
	order.Card = declinedCard
	placed, err := e.placeAs(ctx, order, http.StatusPaymentRequired)
	return Report{Orders: []Placed{placed}}, err
}

var paymentRule = regexp.MustCompile(`(?s)path "order-secrets/data/payment" \{.*?\}\n?`)

func (e *Environment) deny(ctx context.Context) (report Report, err error) {
	file := filepath.Join(e.example, "worker-policy.hcl")
	policy, err := os.ReadFile(file)
	if err != nil {
		return report, fmt.Errorf("read the worker's policy: %w", err)
	}
	narrowed := paymentRule.ReplaceAll(policy, nil)
	if len(narrowed) == len(policy) {
		return report, fmt.Errorf("%s has no rule for order-secrets/data/payment", file)
	}
	client, err := e.Lab.Vault.Client(0)
	if err != nil {
		return report, err
	}
	write := func(ctx context.Context, policy []byte) error {
		if err := client.Sys().PutPolicyWithContext(ctx, "order-worker", string(policy)); err != nil {
			return fmt.Errorf("write the worker's policy: %w", err)
		}
		return nil
	}
	if err := write(ctx, narrowed); err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, write(context.WithoutCancel(ctx), policy)) }()
	placed, err := e.placeAs(ctx, good(), http.StatusServiceUnavailable)
	return Report{Orders: []Placed{placed}}, err
}

// meanwhile places an order, has the fault happen while it is under way, and waits
// for what becomes of it.
func (e *Environment) meanwhile(ctx context.Context, fault func(context.Context) error) ([]Placed, error) {
	orders := make([]Placed, 1)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		orders[0], err = e.placeAs(ctx, good(), http.StatusCreated)
		return err
	})
	group.Go(func() error { return fault(ctx) })
	return orders, group.Wait()
}

func (e *Environment) killUsers(ctx context.Context) (report Report, err error) {
	for _, name := range usersInstances {
		if err := e.programs[name].Kill(); err != nil {
			return report, err
		}
	}
	report.Down = time.Now()
	report.Orders, err = e.meanwhile(ctx, func(ctx context.Context) error {
		err := pause(ctx, usersDown)
		report.Up = time.Now()
		for _, name := range usersInstances {
			if err == nil {
				err = e.programs[name].Restart(ctx)
			}
		}
		return err
	})
	return report, err
}

func (e *Environment) seal(ctx context.Context) (report Report, err error) {
	if err := e.Lab.Vault.Seal(ctx); err != nil {
		return report, err
	}
	report.Down = time.Now()
	report.Orders, err = e.meanwhile(ctx, func(ctx context.Context) error {
		err := pause(ctx, vaultSealed)
		report.Up = time.Now()
		return errors.Join(err, e.Lab.Vault.Unseal(ctx))
	})
	return report, err
}

func (e *Environment) killWorker(ctx context.Context) (report Report, err error) {
	if err := e.holdLock(ctx, slowHold); err != nil {
		return report, err
	}
	report.Orders, err = e.meanwhile(ctx, func(ctx context.Context) error {
		// It waits for stock then, and what it did before is exported.
		if err := errors.Join(e.awaitLocks(ctx, 1), pause(ctx, slowHold/3)); err != nil {
			return err
		}
		if err := e.programs["worker-1"].Kill(); err != nil {
			return err
		}
		return errors.Join(e.holdLock(ctx, shortHold), e.programs["worker-1"].Restart(ctx))
	})
	return report, errors.Join(err, e.holdLock(context.WithoutCancel(ctx), shortHold))
}

// awaitLocks waits until so many instances of stock hold the lock of an item or wait for it.
func (e *Environment) awaitLocks(ctx context.Context, n int64) error {
	ctx, cancel := context.WithTimeout(ctx, orderTimeout)
	defer cancel()
	client, err := e.etcd()
	if err != nil {
		return err
	}
	defer client.Close()
	for {
		answer, err := client.Get(ctx, "/order/locks/stock/", clientv3.WithPrefix(), clientv3.WithCountOnly())
		if err != nil {
			return fmt.Errorf("read the locks on the stock: %w", err)
		}
		if answer.Count >= n {
			return nil
		}
		if err := pause(ctx, shortHold); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
