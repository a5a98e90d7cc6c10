// Package audit is the record of what was done, by whom and why: one hash-chained
// log for a cluster, whichever replica writes to it.
//
// # Where it is
//
// The chain lies in ConfigMaps of the operator's own namespace, its segments:
// rightsizer-audit-00000001 and so on. An append is one request, a merge patch
// that carries the segment's resourceVersion, so that of two replicas that append
// at a time one is told to look again; what is sent and answered is as long as
// the new records, not as the segment. The append that fills a segment also makes
// it immutable; the next one makes the next segment. Records that wait at the
// same time go in one append.
//
// With a directory there is a second copy of the same lines in files that are
// fsynced. [Log.Append] returns when both have the record. A directory that lacks
// records of other replicas, or of a moment when it could not be written, is
// completed from the cluster before anything is appended.
//
// # The stored form
//
// A record is one line: 64 hexadecimal digits, a space, and the record as the JSON
// of rightsizer.v1.AuditRecord without its hash. The digits are the SHA-256 of
// that JSON, byte by byte as it stands there, so that nothing has to be encoded
// again to check it, and sha256sum can:
//
//	kubectl get configmap rightsizer-audit-00000001 -o json |
//	  jq -r '.data[]' | cut -d' ' -f2- | head -1 | tr -d '\n' | sha256sum
//
// previousHash in the JSON is the hash of the record before, 64 zeros in the first.
//
// # What it proves
//
// [Log.Verify] finds each line that was edited, left out, put elsewhere or added.
// Whoever may write ConfigMaps in the operator's namespace can also compute hashes
// and make the end of the chain anew, or cut it; that shows against a head that is
// known from elsewhere: each process knows those it wrote, the directory holds the
// last, and every append logs its own. Give such heads to Verify.
//
// # Bounds
//
// A segment is closed at 64 KiB (at most 448 KiB with its last append; Kubernetes
// allows 1 MiB), and 512 of them are kept: about 32 MiB in etcd, some 20,000
// records. Before the oldest is deleted, a record `audit.retired` takes down its
// last number and hash. A chain that begins where such a record says is held
// elsewhere (in a directory, in logs) or forgotten, as stated; one that begins
// anywhere else was truncated. The directory keeps 64 files of 16 MiB in the same
// manner, by `audit.copy_retired`. A record has at most 128 KiB, a batch 64 records
// or 256 KiB, the queue 256 records; one more is refused with [ErrUnavailable].
//
// # No secrets
//
// Of a diff only sizes, replicas and identities are kept ([Redact]); a value that
// is not known to be harmless is replaced. Control and invisible characters leave reason and
// evidence. Whoever prints a record escapes the rest.
//
// # When it cannot be written
//
// Append fails with an [UnavailableError], whose Part says which copy. Nothing may
// be done without the record. A record may be in the cluster though Append failed,
// where the directory did not take it or the answer got lost: a record says what
// was about to be done, and the remediation itself what was. The Log tries again at
// every append and every 5 s, and [Log.Health] says how it is.
//
// # Concurrency
//
// All methods are safe for concurrent use. Run must run for Append to return; when
// Run ended, Append fails. Readers never wait for writers.
package audit
