"""A whole data set explained: a row a picture in Parquet, and a report; see docs/survey.md."""
