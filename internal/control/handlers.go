package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"netbootd/client"
)

// maxQuestion bounds the body of a request, in bytes.
const maxQuestion = 64 << 10

// read reads the JSON in a request's body into q; an empty one leaves that as it is.
func read(w http.ResponseWriter, r *http.Request, q any) error {
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxQuestion)).Decode(q)
	if err != nil && !errors.Is(err, io.EOF) {
		return Invalid("the request is not what this version expects: " + err.Error())
	}
	return nil
}

// flag is a parameter that is true or false; absent, it is false.
func flag(r *http.Request, name string) (bool, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return false, nil
	}
	v, err := strconv.ParseBool(text)
	if err != nil {
		return false, Invalid(fmt.Sprintf("%s: %q is neither true nor false", name, text))
	}
	return v, nil
}

// number is a parameter that is a whole number and not negative.
func number(r *http.Request, name string) (int64, error) {
	text := r.URL.Query().Get(name)
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil || v < 0 {
		return 0, Invalid(fmt.Sprintf("%s: %q is not a whole number, 0 or more", name, text))
	}
	return v, nil
}

// answer writes a result, or the error as problem+json (RFC 9457).
func answer(w http.ResponseWriter, result any, err error) {
	if err == nil {
		writeJSON(w, http.StatusOK, "application/json", result)
		return
	}
	var p *Problem
	if !errors.As(err, &p) {
		p = &Problem{Status: http.StatusInternalServerError, Code: client.CodeUnavailable, Detail: err.Error()}
	}
	writeJSON(w, p.Status, "application/problem+json", p)
}

// writeJSON writes one document. An error means that the client has gone away,
// which is nobody's business.
func writeJSON(w http.ResponseWriter, status int, contentType string, v any) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
