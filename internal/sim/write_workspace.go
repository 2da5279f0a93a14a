package sim

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// workspaceChange is what create and update of a workspace have in common.
type workspaceChange struct {
	Name          *string            `json:"name"`
	DisplayColor  *string            `json:"display_color"`
	ExternalKeyID *string            `json:"external_key_id"`
	UserProfileID *string            `json:"user_profile_id"`
	Tags          map[string]*string `json:"tags"`
	DataResidency *struct {
		AllowedInferenceGeos json.RawMessage `json:"allowed_inference_geos"`
		DefaultInferenceGeo  *string         `json:"default_inference_geo"`
		WorkspaceGeo         *string         `json:"workspace_geo"`
	} `json:"data_residency"`
}

var color = regexp.MustCompile(`^#[0-9A-Fa-f]{6}$`)

// apply changes a workspace, or says what is wrong and changes nothing.
func (b *workspaceChange) apply(w *workspace, create bool) error {
	changed := *w
	if b.Name != nil {
		changed.Name = *b.Name
	}
	if n := len(changed.Name); n < 1 || n > 40 {
		return invalid("name: String should have 1 to 40 characters")
	}
	if b.DisplayColor != nil {
		if changed.DisplayColor = *b.DisplayColor; !color.MatchString(changed.DisplayColor) {
			return invalid("display_color: String should match pattern %s", color)
		}
	}
	if b.ExternalKeyID != nil {
		return invalid("external_key_id: customer-managed keys are not enabled for this organization")
	}
	if b.UserProfileID != nil {
		return coded(400, "user_profile_not_found", "user_profile_id: no such user profile")
	}
	changed.Tags = map[string]string{}
	for k, v := range w.Tags {
		changed.Tags[k] = v
	}
	for k, v := range b.Tags {
		switch {
		case strings.HasPrefix(k, "anthropic"):
			return invalid("tags: keys may not begin with anthropic")
		case v == nil:
			delete(changed.Tags, k)
		default:
			changed.Tags[k] = *v
		}
	}
	if err := b.applyResidency(&changed.DataResidency, create); err != nil {
		return err
	}
	*w = changed
	return nil
}

func (b *workspaceChange) applyResidency(r *residency, create bool) error {
	d := b.DataResidency
	if d == nil {
		return nil
	}
	geos := []string{"global", "us"}
	if d.WorkspaceGeo != nil && (!create || *d.WorkspaceGeo != "us") {
		return invalid("data_residency.workspace_geo: Input should be us, and cannot be changed")
	}
	var list []string
	switch raw := string(d.AllowedInferenceGeos); {
	case raw == "":
	case raw == `"unrestricted"`:
		r.AllowedInferenceGeos = "unrestricted"
	case json.Unmarshal(d.AllowedInferenceGeos, &list) != nil || len(list) == 0 ||
		slices.ContainsFunc(list, func(g string) bool { return !slices.Contains(geos, g) }):
		return invalid("data_residency.allowed_inference_geos: Input should be unrestricted or a list of geos")
	default:
		r.AllowedInferenceGeos = list
	}
	if d.DefaultInferenceGeo != nil {
		r.DefaultInferenceGeo = *d.DefaultInferenceGeo
	}
	may, limited := r.AllowedInferenceGeos.([]string)
	if !slices.Contains(geos, r.DefaultInferenceGeo) || limited && !slices.Contains(may, r.DefaultInferenceGeo) {
		return invalid("data_residency.default_inference_geo: Input should be one of the allowed geos")
	}
	return nil
}

func (c *call) createWorkspace() (any, error) {
	var body workspaceChange
	if err := c.body(&body); err != nil {
		return nil, err
	}
	live := 0
	for _, w := range c.workspaces[1:] {
		if w.ArchivedAt == nil {
			live++
		}
	}
	if live >= 100 {
		return nil, invalid("The organization has reached its limit of 100 workspaces.")
	}
	what := fmt.Sprint("created/", len(c.workspaces))
	w := &workspace{ID: newID(c.salt, "wrkspc", what), CompartmentID: newUUID(c.salt, what), CreatedAt: stamp(c.now),
		DisplayColor: "#6C5BB9", Type: "workspace", Tags: map[string]string{}, DataResidency: residency{
			AllowedInferenceGeos: "unrestricted", DefaultInferenceGeo: "global", WorkspaceGeo: "us"}}
	if err := body.apply(w, true); err != nil {
		return nil, err
	}
	c.workspaces = append(c.workspaces, w)
	return w, nil
}

// changeable is the path's workspace, unless it is archived; the default one where it may be.
func (c *call) changeable(standard bool) (*workspace, error) {
	w, err := c.pathWorkspace()
	switch {
	case err != nil:
		return nil, err
	case !standard && c.isDefault(w.ID):
		return nil, invalid("The default workspace cannot be changed this way.")
	case w.ArchivedAt != nil:
		return nil, invalid("The workspace is archived.")
	}
	return w, nil
}

func (c *call) updateWorkspace() (any, error) {
	w, err := c.changeable(true)
	if err != nil {
		return nil, err
	}
	var body workspaceChange
	if err := c.body(&body); err != nil {
		return nil, err
	}
	if c.isDefault(w.ID) && body.Name != nil {
		return nil, invalid("The default workspace cannot be renamed.")
	}
	if err := body.apply(w, false); err != nil {
		return nil, err
	}
	return w, nil
}

// archiveWorkspace archives the keys made for it too, for good.
func (c *call) archiveWorkspace() (any, error) {
	w, err := c.changeable(false)
	if err != nil {
		return nil, err
	}
	if err := c.query.done(); err != nil {
		return nil, err
	}
	w.ArchivedAt = stampPtr(c.now)
	for _, k := range c.keys {
		if k.workspace == w {
			k.status = "archived"
			c.switchOff(k.ID)
		}
	}
	return w, nil
}
