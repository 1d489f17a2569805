// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"crypto/x509"
	"slices"
	"time"
)

// certificateSign is what is noted of a certificate.
type certificateSign uint16

const (
	wasRead       certificateSign = 1 << iota
	isOwn                         // of a CA that has issued it itself
	isUnreadable                  // until the next list
	wasUnreadable                 // when it was read last, so others go before it
	isNew                         // it came into the list while that was followed
	lacksRole                     // It was read before the roles were known.
	isRevoked                     // as it is in that list, or says itself
	wasRevoked                    // before this term began
	revokedUnseen                 // When it was is not known.
	startTold
	warningTold
	revocationTold
	endTold
)

// certificate is what is kept of a certificate, of which there may be many.
type certificate struct {
	notBefore, notAfter int64 // seconds
	revoked             int64 // nanoseconds; 0: not, or not known yet
	names               uint64
	role, issuer        string
	sign                certificateSign
}

func (c *certificate) is(sign certificateSign) bool { return c.sign&sign != 0 }

// counts says whether it is a certificate that somebody may use.
func (c *certificate) counts() bool { return c.is(wasRead) && !c.is(isOwn|isRevoked) }

// PKIMount is what is known of a PKI mount, and what was told of it.
type PKIMount struct {
	// Warning is how long before its end something is told to expire.
	Warning time.Duration

	// Lifetimes tells the life of each certificate.
	Lifetimes bool

	certs   map[Serial]certificate
	issuers map[string]issuer
	roles   map[string]Role
	maxTTL  time.Duration

	rolesKnown  bool
	unfollowed  int
	crowded     bool // Some are beyond the limit.
	revocations int
	listed      time.Time // when the certificates were
	listedGone  time.Time // and those that are revoked
	listedCAs   time.Time

	// What is to be read, in this order, each in that of its list.
	newlyRevoked, unread, roleless []Serial

	// Of the term, in which nobody else tells of the mount.
	since     time.Time // What ended until then is not told.
	warned    time.Time // What was to expire until then is not told.
	restored  bool      // This is of an earlier process.
	begunList bool
	begunGone bool

	progress PKIProgress
	due      PKIProgress // when what Due has returned is told
	dueWhole bool        // All was read then.

	latest     map[uint64]int64 // end of the last certificate for the same names
	latestKept bool
}

// Begin begins a term. What an earlier process told of the mount, if that is
// known, is not told again; what a receiver of another node may have told since
// the last term is left to it.
func (m *PKIMount) Begin(now time.Time, told PKIProgress) {
	if m.certs == nil {
		m.certs, m.issuers = map[Serial]certificate{}, map[string]issuer{}
		m.progress, m.restored, m.since = told, !told.Ended.IsZero(), now
		if m.restored {
			m.since = told.Ended
		}
		if told.Warning != m.Warning { // All are told anew.
			m.progress.Warned, m.progress.Warnings, m.progress.Warning = time.Time{}, nil, m.Warning
		}
		m.warned = m.progress.Warned
	} else {
		m.restored, m.since, m.warned = false, now, time.Time{}
	}
	m.begunList, m.begunGone = false, false
	m.listed, m.listedGone, m.listedCAs = time.Time{}, time.Time{}, time.Time{}
	for serial, c := range m.certs {
		c.sign &^= isNew
		if c.is(isRevoked) {
			c.sign |= wasRevoked | revocationTold | endTold
		}
		if c.is(wasRead) && !c.end().After(now) {
			c.sign |= endTold
		}
		m.certs[serial] = c
	}
}

// end is when its life ends, as far as it is known.
func (c *certificate) end() time.Time {
	end := time.Unix(c.notAfter, 0)
	if at := time.Unix(0, c.revoked); c.revoked != 0 && at.Before(end) {
		return at
	}
	return end
}

// Followed returns how many certificates are followed.
func (m *PKIMount) Followed() int { return len(m.certs) }

// List takes in which certificates there are, of which at most limit are
// followed. What is not listed is forgotten. unknown is how many more there are
// whose serial numbers cannot be read.
func (m *PKIMount) List(now time.Time, serials []Serial, unknown, limit int) {
	listed := make(map[Serial]struct{}, len(serials))
	own := map[Serial]bool{}
	for _, i := range m.issuers {
		own[i.Serial] = true
	}
	for _, serial := range serials {
		if !own[serial] {
			listed[serial] = struct{}{}
		}
	}
	for serial := range m.certs {
		if _, is := listed[serial]; !is {
			delete(m.certs, serial)
		}
	}
	// While some were not followed, one that comes to be followed may be old.
	fresh := m.begunList && !m.crowded
	m.unfollowed, m.crowded, m.begunList, m.listed, m.latestKept = unknown, false, true, now, false
	m.unread, m.roleless = nil, nil
	for _, serial := range serials {
		if own[serial] {
			continue
		}
		c, followed := m.certs[serial]
		if !followed && len(m.certs) >= limit {
			m.unfollowed++
			m.crowded = true
			continue
		}
		if !followed && fresh {
			c.sign = isNew
		}
		c.sign &^= isUnreadable
		m.certs[serial] = c
		switch {
		case !c.is(wasRead):
			m.unread = append(m.unread, serial)
		case c.is(lacksRole) && m.rolesKnown:
			m.roleless = append(m.roleless, serial)
		}
	}
	m.unread, m.roleless = m.readableFirst(m.unread), m.readableFirst(m.roleless)
}

// readableFirst puts those to the end that could not be read the last time, so
// that they hold nothing back.
func (m *PKIMount) readableFirst(queue []Serial) []Serial {
	slices.SortStableFunc(queue, func(a, b Serial) int {
		first, second := m.certs[a], m.certs[b]
		return int(first.sign&wasUnreadable) - int(second.sign&wasUnreadable)
	})
	return queue
}

// ListRevoked takes in which certificates are revoked.
func (m *PKIMount) ListRevoked(now time.Time, serials []Serial, unknown int) {
	m.newlyRevoked = nil
	for _, serial := range serials {
		c, followed := m.certs[serial]
		if !followed || c.is(isOwn) {
			continue
		}
		if !c.is(isRevoked) {
			c.sign |= isRevoked
			if !m.begunGone && !c.is(isNew) {
				c.sign |= wasRevoked
			}
			m.certs[serial] = c
		}
		if c.revoked == 0 && c.is(wasRead) {
			m.newlyRevoked = append(m.newlyRevoked, serial)
		}
	}
	m.newlyRevoked = m.readableFirst(m.newlyRevoked)
	m.revocations, m.listedGone, m.begunGone, m.latestKept = len(serials)+unknown, now, true, false
}

// SetRoles takes in what the roles allow, and how long a certificate of the
// mount may last.
func (m *PKIMount) SetRoles(roles map[string]Role, maxTTL time.Duration) {
	m.roles, m.maxTTL, m.rolesKnown = roles, maxTTL, true
}

// LoseRoles takes in that the roles are not known now.
func (m *PKIMount) LoseRoles() { m.roles, m.rolesKnown = nil, false }

// Next returns a certificate that is to be read. It stays the next one until
// something is learnt of it.
func (m *PKIMount) Next() (serial Serial, ok bool) {
	m.advance()
	for _, queue := range [][]Serial{m.newlyRevoked, m.unread, m.roleless} {
		if len(queue) > 0 {
			return queue[0], true
		}
	}
	return serial, false
}

// advance takes out of the queues what is not to be read any more.
func (m *PKIMount) advance() {
	for queue, open := range map[*[]Serial]func(certificate) bool{
		&m.newlyRevoked: func(c certificate) bool { return c.is(isRevoked) && c.revoked == 0 && !c.is(isUnreadable) },
		&m.unread:       func(c certificate) bool { return !c.is(wasRead | isUnreadable) },
		&m.roleless:     func(c certificate) bool { return c.is(lacksRole) && m.rolesKnown && !c.is(isUnreadable) },
	} {
		for len(*queue) > 0 {
			if c, followed := m.certs[(*queue)[0]]; followed && open(c) {
				break
			}
			*queue = (*queue)[1:]
		}
		if len(*queue) == 0 {
			*queue = nil // so that it takes no memory
		}
	}
}

// Read takes in a certificate, and when it was revoked; zero: it was not, or
// that is not known.
func (m *PKIMount) Read(now time.Time, serial Serial, x *x509.Certificate, revoked time.Time) {
	c, followed := m.certs[serial]
	if !followed {
		return
	}
	if !c.is(wasRead) || c.is(lacksRole) {
		c.notBefore, c.notAfter, c.names = x.NotBefore.Unix(), x.NotAfter.Unix(), namesOf(x)
		c.role, c.issuer = "", m.issuerOf(x)
		c.sign &^= lacksRole
		if m.rolesKnown {
			c.role = RoleOf(x, m.roles, m.maxTTL)
		} else {
			c.sign |= lacksRole
		}
		if x.IsCA && string(x.RawIssuer) == string(x.RawSubject) {
			c.sign |= isOwn
		}
	}
	first := !c.is(wasRead)
	c.sign = c.sign&^wasUnreadable | wasRead
	m.latestKept = false
	if !revoked.IsZero() {
		if first && !c.is(isNew|isRevoked) && !m.begunGone && !revoked.After(m.since) {
			c.sign |= wasRevoked // as far as the clocks tell
		}
		c.revoked = revoked.UnixNano()
		c.sign |= isRevoked
	} else if c.is(isRevoked) {
		c.revoked = now.UnixNano()
		c.sign |= revokedUnseen
	}
	m.settle(&c, first)
	if first && m.progress.Warnings[serial.String()] {
		c.sign |= warningTold
	}
	m.certs[serial] = c
}

// settle notes what is not to be told of a certificate that was read.
func (m *PKIMount) settle(c *certificate, first bool) {
	meanwhile := m.restored && !c.is(revokedUnseen) && c.revoked > m.progress.Revoked
	if c.is(wasRevoked) && !meanwhile {
		c.sign |= revocationTold | endTold
	}
	if !first {
		return
	}
	if c.revoked == 0 && !c.end().After(m.since) {
		c.sign |= endTold
	}
	at := warnAt(time.Unix(c.notBefore, 0), time.Unix(c.notAfter, 0), m.Warning, certificatePart)
	if !c.is(isNew) && !at.After(m.warned) {
		c.sign |= warningTold
	}
}

// Unreadable takes in that a certificate cannot be served or parsed. It is read
// again after the next list, and after all others.
func (m *PKIMount) Unreadable(serial Serial) { m.sign(serial, isUnreadable|wasUnreadable) }

// RevokedUnseen takes in that it cannot be learnt when certificates were revoked.
func (m *PKIMount) RevokedUnseen(now time.Time) {
	for _, serial := range m.newlyRevoked {
		if c, followed := m.certs[serial]; followed && c.revoked == 0 {
			c.revoked = now.UnixNano()
			c.sign |= revokedUnseen
			m.settle(&c, false)
			m.certs[serial] = c
		}
	}
	m.newlyRevoked = nil
}

// Forget takes in that a certificate is gone.
func (m *PKIMount) Forget(serial Serial) {
	delete(m.certs, serial)
	m.latestKept = false
}
