// Checks ../dashboards/*.json against Grafana's own types and units, and writes what a test without
// npm needs of them to known.json. Needs npm ci; `make dashboards` does both.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const here = path.dirname(fileURLToPath(import.meta.url));
const folder = path.join(here, '..', 'dashboards');
const require = createRequire(import.meta.url);
const version = require('./node_modules/@grafana/schema/package.json').version;
const problems = [];

// units are the ids of all value formats, read from the source that lists them: running the package
// needs a browser.
function units() {
  const file = path.join(here, 'node_modules/@grafana/data/dist/esm/valueFormats/categories.mjs');
  const found = [];
  const visit = (node) => {
    if (ts.isObjectLiteralExpression(node)) {
      const of = Object.fromEntries(node.properties.filter(ts.isPropertyAssignment).map((p) => [p.name.getText(), p.initializer]));
      if (of.id && of.fn) {
        if (!ts.isStringLiteral(of.id)) throw new Error(`${file}: the id of a format is not written out: ${of.id.getText()}`);
        found.push(of.id.text);
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true));
  if (found.length < 100) throw new Error(`${file}: only ${found.length} formats found: is it built differently now?`);
  return found.sort();
}

// checkUnits looks at the default unit and the overrides of each panel.
function checkUnits(name, dashboard, known) {
  for (const p of dashboard.panels) {
    const { defaults = {}, overrides = [] } = p.fieldConfig ?? {};
    const used = overrides.flatMap((o) => o.properties).filter((x) => x.id === 'unit').map((x) => x.value);
    if ('unit' in defaults) used.push(defaults.unit);
    for (const unit of used) if (!known.includes(unit)) problems.push(`${name}: panel ${p.id} "${p.title}": unit ${unit} is unknown`);
  }
}

// JSON is written into a source file, so that its texts are checked as literals.
const files = readdirSync(folder).filter((f) => f.endsWith('.json')).sort();
const dashboards = files.map((f) => [f, readFileSync(path.join(folder, f), 'utf8')]);
const source = path.join(here, 'dashboards.ts');
writeFileSync(source, "import type { Dashboard } from './types';\n" + dashboards.map(([f, text]) =>
  `// ${f}\nexport const ${f.replace(/\W/g, '_')}: Dashboard = ${text.trim()};\n`).join(''));

const config = ts.readConfigFile(path.join(here, 'tsconfig.json'), ts.sys.readFile).config;
const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, here);
const program = ts.createProgram([source, path.join(here, 'types.ts')], options);
for (const d of ts.getPreEmitDiagnostics(program)) {
  const where = d.file ? `${path.basename(d.file.fileName)}:${d.file.getLineAndCharacterOfPosition(d.start).line + 1}: ` : '';
  problems.push(where + ts.flattenDiagnosticMessageText(d.messageText, '\n'));
}

const known = units();
for (const [f, text] of dashboards) checkUnits(f, JSON.parse(text), known);

// The names of properties, for the test that has no types.
const checker = program.getTypeChecker();
const exported = checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(path.join(here, 'types.ts'))));
const type = (name) => checker.getDeclaredTypeOfSymbol(exported.find((s) => s.name === name));
const names = (t) => checker.getPropertiesOfType(t).map((p) => p.name).sort();
const members = (t) => Object.fromEntries(checker.getPropertiesOfType(t).map((p) => [p.name, checker.getTypeOfSymbol(p)]));
const panels = {};
for (const [kind, tuple] of Object.entries(members(type('Kinds')))) {
  const [o, custom] = checker.getTypeArguments(tuple);
  panels[kind] = { options: names(o), custom: names(custom) };
}
const properties = Object.fromEntries(Object.entries(members(type('Names'))).map(([k, t]) => [k, names(t)]));
const { defaultDashboard } = require('@grafana/schema');
writeFileSync(path.join(here, 'known.json'), JSON.stringify({ grafana: version, schemaVersion: defaultDashboard.schemaVersion, properties, panels, units: known }, null, 1) + '\n');

if (problems.length) {
  console.error(problems.join('\n'));
  process.exit(1);
}
console.log(`${files.length} dashboards agree with the types and units of Grafana ${version} (${known.length} units)`);
