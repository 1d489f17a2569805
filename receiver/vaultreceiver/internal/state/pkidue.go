// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"maps"
	"slices"
	"time"
)

// Due returns what is to be told now, the earliest first and at most so much,
// and when it is to be asked again, unless something is learnt before; zero:
// only then.
func (m *PKIMount) Due(now time.Time, most int) (effects []PKIEffect, next time.Time) {
	m.due = m.progress
	if !m.begunList {
		return nil, next
	}
	wake := func(at time.Time) {
		if at.After(now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	m.advance()
	whole := len(m.unread) == 0 && len(m.newlyRevoked) == 0
	m.dueWhole = whole
	last := m.progress.Revoked
	for serial, c := range m.certs {
		if !c.is(wasRead) || c.is(isOwn) || c.is(isRevoked) && c.revoked == 0 {
			continue
		}
		if !c.is(revokedUnseen) {
			last = max(last, c.revoked)
		}
		effects = m.appendDue(effects, now, serial, &c, whole, wake)
	}
	if whole {
		// What began and ended since the list was read is told after the next.
		m.due.Ended, m.due.Warned, m.due.Warnings, m.due.Revoked = m.listed, now, nil, last
	}
	effects = m.appendDueIssuers(effects, now, wake)
	slices.SortFunc(effects, compareEffects)
	if len(effects) > most {
		return effects[:most], now
	}
	return effects, next
}

func (m *PKIMount) appendDue(effects []PKIEffect, now time.Time, serial Serial, c *certificate, whole bool, wake func(time.Time)) []PKIEffect {
	start, notAfter, end := time.Unix(c.notBefore, 0), time.Unix(c.notAfter, 0), c.end()
	effect := PKIEffect{
		Serial: serial, Role: c.role, IssuerID: c.issuer, IssuerName: m.issuers[c.issuer].Name,
		NotBefore: start, End: end, Revoked: c.is(isRevoked), Reconciled: c.is(revokedUnseen),
	}
	add := func(event PKIEvent, at time.Time) *PKIEffect {
		effect.Event, effect.At = event, at
		effects = append(effects, effect)
		return &effects[len(effects)-1]
	}
	if c.is(isRevoked) && !c.is(revocationTold) {
		add(CertificateRevoked, time.Unix(0, c.revoked))
	}
	if !c.is(isRevoked|warningTold) && now.Before(notAfter) {
		at := warnAt(start, notAfter, m.Warning, certificatePart)
		if !whole { // What supersedes it may not have been read yet.
			at = at.Add(notAfter.Sub(at) / 2)
		}
		if now.Before(at) {
			wake(at)
		} else {
			e := add(CertificateExpiring, now)
			e.Left, e.Superseded = notAfter.Sub(now), m.superseded(c)
		}
	}
	if !m.Lifetimes {
		return effects
	}
	if c.is(isNew) && !c.is(startTold) {
		add(CertificateStarted, start)
	}
	if !c.is(endTold) {
		if now.Before(end) {
			wake(end)
		} else {
			add(CertificateEnded, end)
		}
	}
	return effects
}

func (m *PKIMount) appendDueIssuers(effects []PKIEffect, now time.Time, wake func(time.Time)) []PKIEffect {
	m.due.Issuers, m.due.Lists = m.toldUnread()
	for id, i := range m.issuers {
		effect := PKIEffect{At: now, IssuerID: id, IssuerName: i.Name}
		if !i.notAfter.IsZero() {
			if at := i.warnAt(m.Warning); now.Before(at) {
				wake(at)
			} else {
				m.due.Issuers[id] = true
				effect.Event, effect.Left = CAExpiring, i.notAfter.Sub(now)
				if !i.told {
					effects = append(effects, effect)
				}
			}
		}
		if !i.list.NextUpdate.IsZero() {
			if at := i.warnListAt(m.Warning); now.Before(at) {
				wake(at)
			} else {
				m.due.Lists[id] = i.list.NextUpdate
				effect.Event, effect.Left = CRLExpiring, i.list.NextUpdate.Sub(now)
				if !i.listTold {
					effects = append(effects, effect)
				}
			}
		}
	}
	return effects
}

// toldUnread returns what was told of issuers by an earlier process, and was not
// read in this one yet.
func (m *PKIMount) toldUnread() (issuers map[string]bool, lists map[string]time.Time) {
	issuers, lists = map[string]bool{}, map[string]time.Time{}
	for id := range m.progress.Issuers {
		i, known := m.issuers[id]
		if m.listedCAs.IsZero() || known && i.notAfter.IsZero() {
			issuers[id] = true
		}
	}
	for id, end := range m.progress.Lists {
		i, known := m.issuers[id]
		if m.listedCAs.IsZero() || known && i.list.NextUpdate.IsZero() {
			lists[id] = end
		}
	}
	return issuers, lists
}

// Told takes in that effects of Due were told, and whether these were all.
func (m *PKIMount) Told(effects []PKIEffect, all bool) {
	for _, e := range effects {
		m.note(e)
	}
	if all {
		m.progress = m.due
	}
	if !all || !m.dueWhole {
		m.keepWarnings(effects)
	}
}

func (m *PKIMount) keepWarnings(effects []PKIEffect) {
	kept := maps.Clone(m.progress.Warnings) // It may be being stored.
	if kept == nil {
		kept = map[string]bool{}
	}
	for _, e := range effects {
		if e.Event == CertificateExpiring && len(kept) < maxWarnings {
			kept[e.Serial.String()] = true
		}
	}
	m.progress.Warnings = kept
}

func (m *PKIMount) note(e PKIEffect) {
	switch e.Event {
	case CertificateStarted:
		m.sign(e.Serial, startTold)
	case CertificateExpiring:
		m.sign(e.Serial, warningTold)
	case CertificateRevoked:
		m.sign(e.Serial, revocationTold)
	case CertificateEnded:
		m.sign(e.Serial, endTold)
	case CAExpiring, CRLExpiring:
		i, known := m.issuers[e.IssuerID]
		if !known {
			return
		}
		i.told = i.told || e.Event == CAExpiring
		// There may be another list since.
		i.listTold = i.listTold || e.Event == CRLExpiring && i.list.NextUpdate.Equal(e.At.Add(e.Left))
		m.issuers[e.IssuerID] = i
	}
}

// sign notes something of a certificate, if it is followed yet.
func (m *PKIMount) sign(serial Serial, sign certificateSign) {
	if c, followed := m.certs[serial]; followed {
		c.sign |= sign
		m.certs[serial] = c
	}
}

// Progress returns how far the mount was told.
func (m *PKIMount) Progress() PKIProgress { return m.progress }

// superseded says whether another certificate for the same names ends later.
func (m *PKIMount) superseded(c *certificate) bool {
	if !m.latestKept {
		m.latest, m.latestKept = map[uint64]int64{}, true
		for _, other := range m.certs {
			if other.counts() && other.names != 0 {
				m.latest[other.names] = max(m.latest[other.names], other.notAfter)
			}
		}
	}
	return c.names != 0 && m.latest[c.names] > c.notAfter
}
