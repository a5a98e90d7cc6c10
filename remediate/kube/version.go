package kube

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/version"
)

// parseMinor reads the answer of /version. Some providers write 33+.
func parseMinor(raw []byte) (int, error) {
	var info version.Info
	if err := json.Unmarshal(raw, &info); err != nil {
		return 0, fmt.Errorf("read the server's version: %w", err)
	}
	minor, err := strconv.Atoi(strings.TrimRight(info.Minor, "+"))
	if err != nil || info.Major != "1" {
		return 0, fmt.Errorf("the server's version is %q.%q: must be 1 and a number", info.Major, info.Minor)
	}
	return minor, nil
}
