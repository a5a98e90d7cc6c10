package action

import (
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Judge wraps an error of the API server with what it means for an effect.
func Judge(err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsNotFound(err):
		return fmt.Errorf("%w: %w", ErrGone, err)
	case apierrors.IsConflict(err):
		return fmt.Errorf("%w: %w", ErrChanged, err)
	case apierrors.IsInvalid(err), apierrors.IsForbidden(err), apierrors.IsBadRequest(err), apierrors.IsMethodNotSupported(err):
		return fmt.Errorf("%w: %w", ErrRefused, err)
	case apierrors.IsTooManyRequests(err):
		return fmt.Errorf("%w: %w", ErrBusy, err)
	}
	return err
}

// because wraps a sentinel with a reason.
func because(sentinel error, format string, args ...any) error {
	return fmt.Errorf("%w: %s", sentinel, fmt.Sprintf(format, args...))
}

// Known says whether an error of Apply means that the write was certainly not
// made.
func Known(err error) bool {
	for _, known := range []error{ErrUnsupported, ErrRefused, ErrAlready, ErrGone, ErrChanged, ErrBusy, ErrIrreversible} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}
