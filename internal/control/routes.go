package control

import (
	"context"
	"net/http"
	"reflect"
	"slices"

	"netbootd/client"
)

// A route is one call of the API: what a client sends, what it may, and who answers.
// All that is said of the API comes from the table of routes: who is served, what a
// token needs, and what the API's own description says.
type route struct {
	method string
	path   string // as [http.ServeMux] has it, without the method
	scope  Scope  // what a token needs; anyone: no token is asked for
	does   string // in one line, for people
	query  []parameter
	takes  reflect.Type // of the JSON in the request's body; nil: there is none
	gives  reflect.Type // of the JSON in the answer, or in each event of a stream; nil: there is none
	body   content      // of an answer that is no single document
	raw    bool         // the request's body is the bytes of a file
	serve  http.HandlerFunc
}

// anyone is the scope of calls that are good by themselves, without a token.
const anyone Scope = ""

// content is what an answer consists of.
type content int

const (
	document content = iota // one of JSON, or nothing
	bytes                   // of a file
	stream                  // of events
)

// A parameter is one of a request's query.
type parameter struct {
	name string
	kind string // as JSON Schema has it: string, integer or boolean
	does string // in one line, for people
}

// An API is the control API of one daemon. It is safe for concurrent use.
type API struct{ routes []route }

// New makes the API of d.
func New(d Daemon) *API {
	return &API{slices.Concat(
		daemonRoutes(d), profileRoutes(d), tftpRoutes(d), assignmentRoutes(d), tokenRoutes(d),
		fileRoutes(d), uploadRoutes(d),
	)}
}

// Local is the API for the unix socket. Who may open that is said by its mode, so
// everything is allowed.
func (a *API) Local() http.Handler {
	return a.handler(func(r route) http.Handler { return r.serve })
}

// handler serves each route by what admit makes of it.
func (a *API) handler(admit func(route) http.Handler) http.Handler {
	mux := http.NewServeMux()
	for _, r := range a.routes {
		mux.Handle(r.method+" "+r.path, admit(r))
	}
	mux.Handle("/", admit(route{scope: anyone, serve: unknown}))
	return mux
}

// unknown answers what is no call of the API.
func unknown(w http.ResponseWriter, r *http.Request) {
	answer(w, nil, &Problem{Status: http.StatusNotFound, Code: client.CodeNotFound, Detail: "the API has no " + r.Method + " " + r.URL.Path})
}

// told is a call that has no body.
func told[A any](method, path string, scope Scope, does string, f func(*http.Request) (A, error), query ...parameter) route {
	return route{
		method: method, path: path, scope: scope, does: does, query: query, gives: reflect.TypeFor[A](),
		serve: func(w http.ResponseWriter, r *http.Request) {
			a, err := f(r)
			answer(w, a, err)
		},
	}
}

// asked is a call with JSON in its body. One that is empty asks for nothing in
// particular.
func asked[Q, A any](method, path string, scope Scope, does string, f func(*http.Request, Q) (A, error), query ...parameter) route {
	return route{
		method: method, path: path, scope: scope, does: does, query: query, takes: reflect.TypeFor[Q](), gives: reflect.TypeFor[A](),
		serve: func(w http.ResponseWriter, r *http.Request) {
			var q Q
			if err := read(w, r, &q); err != nil {
				answer(w, nil, err)
				return
			}
			a, err := f(r, q)
			answer(w, a, err)
		},
	}
}

// done is a call that is answered by nothing but that it is done.
func done(method, path string, scope Scope, does string, f func(*http.Request) error, query ...parameter) route {
	return route{
		method: method, path: path, scope: scope, does: does, query: query,
		serve: func(w http.ResponseWriter, r *http.Request) {
			if err := f(r); err != nil {
				answer(w, nil, err)
				return
			}
			w.WriteHeader(http.StatusNoContent)
		},
	}
}

// callerKey is where a request's context keeps who asks.
type callerKey struct{}

// caller is who asks, for people: the user at the other end of the unix socket, or a
// token.
func caller(r *http.Request) string {
	who, _ := r.Context().Value(callerKey{}).(string)
	return who
}

// calledBy is a request of that caller.
func calledBy(r *http.Request, who string) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), callerKey{}, who))
}
