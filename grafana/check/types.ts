// What a dashboard of ours may look like: the types of @grafana/schema, made strict where they leave
// things open (options and custom fields of each kind of panel, queries, transformations, overrides).
import type * as schema from '@grafana/schema';
import type * as raw from './node_modules/@grafana/schema/dist/types/raw/dashboard/x/types.gen';
import type * as bargauge from './node_modules/@grafana/schema/dist/types/raw/composable/bargauge/panelcfg/x/types.gen';
import type * as piechart from './node_modules/@grafana/schema/dist/types/raw/composable/piechart/panelcfg/x/types.gen';
import type * as stat from './node_modules/@grafana/schema/dist/types/raw/composable/stat/panelcfg/x/types.gen';
import type * as statetimeline from './node_modules/@grafana/schema/dist/types/raw/composable/statetimeline/panelcfg/x/types.gen';
import type * as table from './node_modules/@grafana/schema/dist/types/raw/composable/table/panelcfg/x/types.gen';
import type * as timeseries from './node_modules/@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/types.gen';
import type { MergeTransformerOptions } from './node_modules/@grafana/data/dist/types/transformations/transformers/merge';
import type { OrganizeFieldsTransformerOptions } from './node_modules/@grafana/data/dist/types/transformations/transformers/organize';
import type { FieldColorModeId } from './node_modules/@grafana/schema/dist/types/raw/dashboard/x/types.gen';

// Plain is a type as JSON writes it: the values of enumerations instead of their names.
type Plain<T> = unknown extends T ? T
  : T extends string ? `${T}`
  : T extends number | boolean | null | undefined ? T
  : T extends (infer U)[] ? Plain<U>[]
  : T extends object ? { [K in keyof T]: Plain<T[K]> }
  : T;

// The kinds of panels that our dashboards use, by their plugin's id: [options, custom field options].
export type Kinds = {
  bargauge: [bargauge.Options, Record<string, never>];
  piechart: [piechart.Options, piechart.FieldConfig];
  stat: [stat.Options, Record<string, never>];
  'state-timeline': [statetimeline.Options, statetimeline.FieldConfig];
  table: [table.Options, table.FieldConfig];
  timeseries: [timeseries.Options, timeseries.FieldConfig];
};

type Source<T extends string, V extends string> = { type: T; uid: `\${${V}}` };
type PrometheusSource = Source<'prometheus', 'datasource'>;
type PostgresSource = Source<'grafana-postgresql-datasource', 'postgres'>;

type PromQL = {
  refId: string; datasource: PrometheusSource; editorMode: 'code'; expr: string; legendFormat?: string;
  format: 'time_series' | 'table';
} & ({ instant: true; range?: never } | { range: true; instant?: never });
type SQL = { refId: string; datasource: PostgresSource; editorMode: 'code'; rawQuery: true; rawSql: string; format: 'time_series' | 'table' };

type Transformation =
  | { id: 'merge'; options: MergeTransformerOptions }
  | { id: 'organize'; options: OrganizeFieldsTransformerOptions };

type Property =
  | { id: 'unit'; value: string }
  | { id: 'decimals' | 'custom.width'; value: number }
  | { id: 'thresholds'; value: raw.ThresholdsConfig }
  | { id: 'mappings'; value: raw.ValueMapping[] }
  | { id: 'custom.cellOptions'; value: schema.TableCellOptions };

// Color has the names of colours that themes know.
export type Field<Custom> = Omit<raw.FieldConfig, 'custom' | 'color'> & { custom?: Custom; color?: { mode: FieldColorModeId } };

export type Panel = {
  [K in keyof Kinds]: Omit<raw.Panel, 'type' | 'options' | 'targets' | 'datasource' | 'fieldConfig' | 'transformations' | 'id' | 'gridPos' | 'title' | 'description'> & {
    id: number; type: K; title: string; description: string; gridPos: raw.GridPos;
    options: Kinds[K][0];
    fieldConfig: {
      defaults: Field<Kinds[K][1]>;
      overrides: { matcher: { id: 'byName'; options: string }; properties: Property[] }[];
    };
    transformations?: Transformation[];
  } & ({ datasource: PrometheusSource; targets: PromQL[] } | { datasource: PostgresSource; targets: SQL[] });
}[keyof Kinds];

export type Row = Omit<raw.RowPanel, 'panels'> & { panels: []; title: string; gridPos: raw.GridPos };

export type Variable = Omit<raw.VariableModel, 'query' | 'datasource'> & (
  | { type: 'query'; datasource: PrometheusSource; query: { qryType: number; query: string; refId: string } }
  | { type: 'query'; datasource: PostgresSource; query: string }
  | { type: 'datasource' | 'custom' | 'textbox'; query: string }
);

// What the plugins of the data sources add to an annotation.
export type Annotation = Omit<raw.AnnotationQuery, 'target' | 'datasource'> & (
  | { builtIn: 1; datasource: { type: 'grafana'; uid: '-- Grafana --' } }
  | {
    datasource: PrometheusSource; titleFormat: string; textFormat: string; tagKeys: string;
    target: { refId: 'Anno'; expr: string; interval: string };
  }
  | { datasource: PostgresSource; target: { refId: 'Anno'; format: 'table'; rawQuery: true; editorMode: 'code'; rawSql: string } }
);

type Known = Omit<raw.Dashboard, 'panels' | 'templating' | 'annotations' | 'uid' | 'title' | 'description' | 'tags'> & {
  uid: string; title: string; description: string; tags: string[];
  panels: (Panel | Row)[];
  templating: { list: Variable[] };
  annotations: { list: Annotation[] };
};

export type Dashboard = Plain<Known>;

// What check.mjs lists in known.json, for the test that has no types.
export type Names = {
  dashboard: Known; panel: raw.Panel; field: raw.FieldConfig; variable: raw.VariableModel; link: raw.DashboardLink;
};
