-- A dbt model for DuckDB (dbt-duckdb): how many assets of each folder a rule rejects, from the plan of
-- `presync dry-run SOURCE --plan plan.parquet`. Run it with: dbt run --vars 'plan: plan.parquet'
SELECT
    regexp_extract(name, '^(.*/)?', 1) AS folder,
    found.code,
    count(*) AS assets,
    sum(size) AS bytes
FROM read_parquet('{{ var("plan") }}'), unnest(findings) AS f(found)
WHERE found.severity = 'error'
GROUP BY ALL
ORDER BY assets DESC, folder, found.code
