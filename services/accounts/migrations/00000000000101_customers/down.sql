DROP TABLE customer_labels;
DROP TABLE customers;
