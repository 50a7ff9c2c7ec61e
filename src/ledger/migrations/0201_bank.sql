-- The outline of a sample within its box: corners in fractions of the picture's width and height, [[x, y], …].
ALTER TABLE bank_samples ADD COLUMN mask TEXT;
