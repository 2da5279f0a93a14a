package spend

// Dims is one combination of dimensions, by id where there is one. An empty field means that the
// report was not grouped by it.
type Dims struct {
	WorkspaceID   string
	APIKeyID      string
	Model         string
	ServiceTier   string
	ContextWindow string
	InferenceGeo  string
	Speed         string
	Product       string
	CostType      string // costs only
	TokenType     string // costs only; empty for what is not tokens
}

// Dimension is something rows are grouped and filtered by.
type Dimension string

// The dimensions, named as in the configuration, the HTTP API and, with _id where there is one, SQL.
const (
	ByOrganization  Dimension = "organization"
	ByWorkspace     Dimension = "workspace"
	ByAPIKey        Dimension = "api_key"
	ByModel         Dimension = "model"
	ByServiceTier   Dimension = "service_tier"
	ByContextWindow Dimension = "context_window"
	ByInferenceGeo  Dimension = "inference_geo"
	BySpeed         Dimension = "speed"
	ByProduct       Dimension = "product"
	ByCostType      Dimension = "cost_type"
	ByTokenType     Dimension = "token_type"
)

// ByTeam is whose the use is. It follows from workspace and key by the configuration: no report, no
// row of facts and no [Dims] has it, so it is not among [Dimensions] and the store does not know it.
const ByTeam Dimension = "team"

// Dimensions lists the dimensions of [Dims] in the order of its fields; the organization, which is
// beside them in every row, is not among them.
var Dimensions = []Dimension{
	ByWorkspace, ByAPIKey, ByModel, ByServiceTier, ByContextWindow, ByInferenceGeo, BySpeed, ByProduct,
	ByCostType, ByTokenType,
}

// Column is the dimension's column in table series.
func (d Dimension) Column() string {
	if d == ByWorkspace || d == ByAPIKey {
		return string(d) + "_id"
	}
	return string(d)
}

// Field is the field of d that holds the dimension, nil where there is none.
func (d *Dims) Field(x Dimension) *string {
	switch x {
	case ByWorkspace:
		return &d.WorkspaceID
	case ByAPIKey:
		return &d.APIKeyID
	case ByModel:
		return &d.Model
	case ByServiceTier:
		return &d.ServiceTier
	case ByContextWindow:
		return &d.ContextWindow
	case ByInferenceGeo:
		return &d.InferenceGeo
	case BySpeed:
		return &d.Speed
	case ByProduct:
		return &d.Product
	case ByCostType:
		return &d.CostType
	case ByTokenType:
		return &d.TokenType
	default:
		return nil
	}
}
