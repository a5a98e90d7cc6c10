// Command hog is what runs beside the operator on a real node: `hog pause` waits, as
// the sandbox of a pod does; `hog N` takes N MiB, 10 a second, and keeps them.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) != 2 {
		os.Exit(2)
	}
	if os.Args[1] == "pause" {
		pause()
		return
	}
	most, err := strconv.Atoi(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "hog:", err)
		os.Exit(2)
	}
	take(most)
}

// pause reaps what is left to it until it is asked to end.
func pause() {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	for s := range signals {
		if s != syscall.SIGCHLD {
			return
		}
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
	}
}

func take(most int) {
	const step = 10
	var held [][]byte
	for tick := time.NewTicker(time.Second); ; <-tick.C {
		if len(held)*step < most {
			held = append(held, make([]byte, step<<20))
		}
		for _, block := range held {
			for i := 0; i < len(block); i += 4096 {
				block[i]++
			}
		}
	}
}
