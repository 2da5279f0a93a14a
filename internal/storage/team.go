package storage

// KindRest is the kind of the [TeamOf] that says what belongs to no team is called.
const KindRest = "rest"

// TeamOf says whose the use of an API key or of a workspace is; a key counts before its workspace.
// A row of [KindRest], without an id, is whose the rest is.
type TeamOf struct {
	Kind string // KindAPIKey, KindWorkspace or KindRest
	ID   string
	Team string
}
