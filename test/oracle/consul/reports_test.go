// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"slices"
	"strconv"
	"strings"

	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

// reports returns the reports of each object, in the order of their times.
func reports(events []oracle.Event) map[string][]oracle.Report {
	all := map[string][]oracle.Report{}
	for _, e := range events {
		object, report := reportOf(e)
		if object == "" {
			continue
		}
		report.At, report.Reconciled = e.At, e.Attributes[attrReconciled] == "true"
		all[object] = append(all[object], report)
	}
	for _, of := range all {
		slices.SortStableFunc(of, func(a, b oracle.Report) int { return a.At.Compare(b.At) })
	}
	return all
}

// reportOf returns the object of an event; empty if it has none.
func reportOf(e oracle.Event) (object string, report oracle.Report) {
	a := e.Attributes
	appeared, vanished := oracle.Report{New: present}, oracle.Report{Old: present}
	switch e.Name {
	case eventTransition:
		return checkObject(a[attrNode], a[attrCheck]), oracle.Report{Old: status(a[attrStatusOld]), New: status(a[attrStatusNew])}
	case eventNodeRegistered:
		return nodeObject(a[attrNode]), appeared
	case eventNodeDeregistered:
		return nodeObject(a[attrNode]), vanished
	case eventServiceRegistered:
		return serviceObject(a[attrService]), appeared
	case eventServiceDeregistered:
		return serviceObject(a[attrService]), vanished
	case eventSessionCreated:
		return sessionObject(a[attrSessionName], a[attrSession]), appeared
	case eventSessionEnded:
		return sessionObject(a[attrSessionName], a[attrSession]), vanished
	case eventLockQueued:
		return lockObject(a[attrKey]), oracle.Report{New: waits}
	case eventLockAbandoned:
		return lockObject(a[attrKey]), oracle.Report{Old: waits}
	case eventLockAcquired:
		// That a contender waited is an event only if it was observed to.
		return lockObject(a[attrKey]), oracle.Report{New: holdOf(e), OldUnknown: a[attrLockType] == "semaphore"}
	case eventLockReleased, eventLockInvalidated:
		return lockObject(a[attrKey]), oracle.Report{Old: holdOf(e)}
	case eventServiceMaintained, eventNodeMaintained:
		return maintenanceObject(a[attrNode], a[attrInstance]), appeared
	case eventServiceServes, eventNodeServes:
		return maintenanceObject(a[attrNode], a[attrInstance]), vanished
	case eventUserFired:
		return userEventObject(a[attrUserEvent]), appeared
	case eventConfigChanged:
		report := oracle.Report{New: version(number(a[attrIndex])), OldUnknown: true}
		if a[attrConfigChange] == "deleted" {
			report.New = oracle.Absent
		}
		return configObject(a[attrConfigKind], a[attrConfigName]), report
	case eventKeyCreated, eventKeyUpdated, eventKeyDeleted:
		if e.Name == eventKeyUpdated && strings.HasPrefix(a[attrKey], prefixSemaphores) && strings.HasSuffix(a[attrKey], "/.lock") {
			return "", report // The list of holders changes faster than it is read here.
		}
		return keyObject(a[attrKey]), keyReport(e)
	}
	return "", report
}

func keyReport(e oracle.Event) oracle.Report {
	createIndex := number(e.Attributes[attrCreateIndex])
	state := keyState(createIndex, number(e.Attributes[attrIndex]))
	if !strings.HasPrefix(e.Attributes[attrKey], prefixKeys) {
		state = created(createIndex)
	}
	switch e.Name {
	case eventKeyCreated:
		return oracle.Report{New: state}
	case eventKeyDeleted:
		return oracle.Report{OldUnknown: true}
	default:
		return oracle.Report{New: state, OldUnknown: true}
	}
}

func holdOf(e oracle.Event) string {
	return holdState(e.Attributes[attrSession], number(e.Attributes[attrLockIndex]))
}

func status(s string) string {
	if s == statusNone {
		return oracle.Absent
	}
	return s
}

func number(text string) uint64 {
	n, _ := strconv.ParseUint(text, 10, 64)
	return n
}
