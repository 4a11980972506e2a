-- The function claim_runs finds its rows again by their place. Pauses are held by the statement itself.
drop function if exists hold_pauses;
