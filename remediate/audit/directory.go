package audit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Bounds of the directory.
const (
	maxFileBytes = 16 << 20
	maxFiles     = 64
)

const (
	filePrefix = "audit-"
	fileSuffix = ".log"
	lockFile   = "lock"
)

// fileName is the name of the file that begins with this record.
func fileName(sequence int64) string {
	return fmt.Sprintf("%s%016d%s", filePrefix, sequence, fileSuffix)
}

// fileSequence is the number in a name, false where it is no file of the chain.
func fileSequence(name string) (int64, bool) {
	digits, ok := strings.CutSuffix(strings.TrimPrefix(name, filePrefix), fileSuffix)
	if !ok {
		return 0, false
	}
	sequence, err := strconv.ParseInt(digits, 10, 64)
	return sequence, err == nil && sequence > 0 && fileName(sequence) == name
}

// auditFiles lists the files of a directory in the order of the chain.
func auditFiles(path string) ([]string, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if _, ok := fileSequence(e.Name()); ok && e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// directory is the second copy: files of lines, of which the last is written to.
// It belongs to the goroutine of Run. After any failure it is closed, and opened
// again, its end mended, before it is used.
type directory struct {
	path      string
	fileBytes int64
	maxFiles  int

	lock  *os.File
	file  *os.File // nil where the next line begins a file
	size  int64
	end   head
	files []string
}

// ready says that nothing is known that keeps lines from being written.
func (d *directory) ready() bool { return d.lock != nil }

// open takes the directory for this process alone and finds its end. What a write
// that was cut off left behind the last whole line is removed: the cluster has it.
func (d *directory) open() error {
	if d.ready() {
		return nil
	}
	if err := os.MkdirAll(d.path, 0o700); err != nil {
		return fmt.Errorf("make the directory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(d.path, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("lock the directory: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return fmt.Errorf("%s is in use by another process", d.path)
		}
		return fmt.Errorf("lock the directory: %w", err)
	}
	d.lock, d.end, d.size = lock, head{}, 0
	if d.files, err = auditFiles(d.path); err == nil {
		err = d.openLast()
	}
	if err != nil {
		d.close()
	}
	return err
}

// openLast opens the last file and cuts off what is no whole line.
func (d *directory) openLast() error {
	for len(d.files) > 0 {
		name := d.files[len(d.files)-1]
		file, err := os.OpenFile(filepath.Join(d.path, name), os.O_RDWR, 0)
		if err != nil {
			return fmt.Errorf("open the last file: %w", err)
		}
		d.file = file
		end, whole, err := lastLine(file)
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		if err := file.Truncate(whole); err != nil {
			return fmt.Errorf("mend %s: %w", name, err)
		}
		if _, err := file.Seek(whole, io.SeekStart); err != nil {
			return fmt.Errorf("mend %s: %w", name, err)
		}
		if whole > 0 {
			d.size, d.end = whole, end
			return nil
		}
		// Nothing of its first line was written.
		_ = file.Close()
		d.file = nil
		if err := os.Remove(filepath.Join(d.path, name)); err != nil {
			return fmt.Errorf("remove the empty %s: %w", name, err)
		}
		d.files = d.files[:len(d.files)-1]
	}
	return nil
}

// lastLine returns the last record of a file that can be read, and how long the
// file is without an incomplete line at its end.
func lastLine(file io.Reader) (end head, whole int64, err error) {
	err = eachLine(file, func(text string, length int64, complete bool) error {
		if !complete {
			return nil
		}
		whole += length
		if record, _ := parse(text); record != nil {
			end = head{record.GetSequence(), record.GetHash()}
		}
		return nil
	})
	return end, whole, err
}

// eachLine visits the lines of a reader: each without its end, and its length with
// it; complete is false for the last where its end is missing. Of a line longer
// than any of ours only the beginning is shown.
func eachLine(r io.Reader, visit func(text string, length int64, complete bool) error) error {
	buffered := bufio.NewReaderSize(r, maxLine+2)
	for {
		raw, err := buffered.ReadSlice('\n')
		text, length := string(raw), int64(len(raw))
		for errors.Is(err, bufio.ErrBufferFull) {
			raw, err = buffered.ReadSlice('\n')
			length += int64(len(raw))
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if length > 0 {
			if visitErr := visit(strings.TrimSuffix(text, "\n"), length, err == nil); visitErr != nil {
				return visitErr
			}
		}
		if err != nil {
			return nil //nolint:nilerr // the end is none
		}
	}
}

// hashOf finds the hash of a record that the directory holds, empty where it does
// not.
func (d *directory) hashOf(sequence int64) (string, error) {
	for _, name := range slices.Backward(d.files) {
		if first, _ := fileSequence(name); first > sequence {
			continue
		}
		hash := ""
		err := eachFileLine(filepath.Join(d.path, name), func(text string, _ int64, _ bool) error {
			if record, _ := parse(text); record.GetSequence() == sequence {
				hash = record.GetHash()
			}
			return nil
		})
		return hash, err
	}
	return "", nil
}

// write appends lines and has them on the disk when it returns. A failure closes
// the directory: what the file holds then is not known.
func (d *directory) write(lines []line) (err error) {
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	for len(lines) > 0 {
		if d.file == nil || d.size >= d.fileBytes {
			if err := d.begin(lines[0].sequence); err != nil {
				return err
			}
		}
		var text bytes.Buffer
		n := 0
		for n < len(lines) && (n == 0 || d.size+int64(text.Len()) < d.fileBytes) {
			text.WriteString(lines[n].text + "\n")
			n++
		}
		if _, err := d.file.Write(text.Bytes()); err != nil {
			_ = d.file.Truncate(d.size) // gives room back, and is done again at the next opening
			return err
		}
		if err := d.file.Sync(); err != nil {
			return err
		}
		d.size += int64(text.Len())
		d.end, lines = lines[n-1].head, lines[n:]
	}
	return nil
}

// begin makes the next file, known to the disk before anything is in it.
func (d *directory) begin(sequence int64) error {
	if d.file != nil {
		_ = d.file.Close() // every write to it was synced
		d.file = nil
	}
	name := fileName(sequence)
	file, err := os.OpenFile(filepath.Join(d.path, name), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	d.file, d.size, d.files = file, 0, append(d.files, name)
	return d.syncNames()
}

// syncNames has the names of the directory on the disk.
func (d *directory) syncNames() error {
	names, err := os.Open(d.path)
	if err != nil {
		return err
	}
	defer func() { _ = names.Close() }()
	return names.Sync()
}

// oldest is the file to let go of, with its last record; false while all may stay.
func (d *directory) oldest() (name string, end head, over bool, err error) {
	if len(d.files) <= d.maxFiles {
		return "", head{}, false, nil
	}
	name = d.files[0]
	file, err := os.Open(filepath.Join(d.path, name))
	if err != nil {
		return "", head{}, false, err
	}
	defer func() { _ = file.Close() }()
	end, _, err = lastLine(file)
	return name, end, err == nil, err
}

// remove lets go of the oldest file.
func (d *directory) remove(name string) error {
	if err := os.Remove(filepath.Join(d.path, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	d.files = slices.DeleteFunc(d.files, func(f string) bool { return f == name })
	return d.syncNames()
}

// close lets go of the directory.
func (d *directory) close() {
	if d.file != nil {
		_ = d.file.Close()
	}
	if d.lock != nil {
		_ = d.lock.Close() // ends the lock
	}
	d.file, d.lock, d.files = nil, nil, nil
}
